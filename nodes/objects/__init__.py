"""Objects: what is on the work plane, where, and what it is called.

Sources (:mod:`.fiducials`, :mod:`.tabletop`) find objects in single pictures, :mod:`.gallery` and
:mod:`.colours` name them, :mod:`.tracker` keeps their identity, :mod:`.node` publishes the scene.

    from deixis.nodes.objects.node import ObjectsNode
"""
