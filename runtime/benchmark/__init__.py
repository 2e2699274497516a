"""How fast models are on this machine, and whether the machine was fit to be measured on."""
