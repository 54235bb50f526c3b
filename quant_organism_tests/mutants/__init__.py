"""Does the suite notice when the product changes? Small changes of behaviour, made one at a time in a private copy."""
