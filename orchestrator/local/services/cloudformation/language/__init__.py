"""The template language: text to a template, names to values, conditions, parameters, references. Pure."""
