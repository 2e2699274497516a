"""The images that an export calibrates with and is judged on."""
