"""How good the images of a file are: distances between two sets of images, and measures of a rebuilt image."""
