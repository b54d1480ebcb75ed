"""What results are shown with: the parts of pages, and the terminal."""
