"""``coulis search DIR --text WORDS``: the command hands it over, as texts are cut into tokens by a Python package."""
