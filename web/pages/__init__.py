"""Server-rendered pages, one module for each task; every one works without JavaScript."""
