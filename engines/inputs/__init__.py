"""What becomes an image for the engine and is none by itself: heights of a 3-D camera.

Used by the camera process, the line, teaching and pages alike, so that the same heights give the same picture
everywhere. Knows neither cameras nor engines: arrays in, arrays out.
"""
