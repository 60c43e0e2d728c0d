"""What each model is judged by: metrics of its task, on inputs that were held out."""
