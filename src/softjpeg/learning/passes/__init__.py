"""The passes of learning over the images, a class each; `schedule` puts them in order."""
