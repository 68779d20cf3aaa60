"""``coulis view DIR --map umap|tsne``: the command hands it over, as other packages place the images."""
