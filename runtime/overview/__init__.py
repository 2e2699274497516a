"""What a folder of pictures holds, before anything is made of it."""
