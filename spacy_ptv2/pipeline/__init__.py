"""Components of a spaCy pipeline, one per file, their factories, and how they are scored and saved."""
