"""Training of models that find boxes: pictures with boxes, random changes to both, losses, and how good a model is."""
