"""Finding the part in the image, before the detector: the same code in training and on the line.

Owns how a part is found and the warp to the model's input; knows neither runtimes nor training. What an engine's
manifest says about it is `engines.bundle.location_spec`.

contrast.py   how an image differs from its background: by grey, side, surroundings, or edges
blob.py       a part that stands out from its background, in any orientation
template.py   a taught picture that moves a little
pose.py       from the found pose to the model's input, and maps back to the image
location.py   all of it together, with the regions to ignore
"""
