"""Where records go: files, pictures, a broker, a web address."""
