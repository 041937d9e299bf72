"""What a person wants to see of a trained model: text for the terminal, pictures for the folder of its run."""
