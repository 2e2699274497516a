"""What a folder of pictures says about them."""
