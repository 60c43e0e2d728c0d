"""Hands: palm detection, landmarks, tracking and the pointing ray."""
