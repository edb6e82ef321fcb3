"""Three lines that let Homeostat see what a model server predicts."""
