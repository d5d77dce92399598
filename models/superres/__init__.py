"""Super-resolution: twice the size for photos that are too small for their canvas."""
