"""The template language: text to a template, names to values, conditions, parameters, references. Pure."""

from orchestrator.local.services.cloudformation.language import functions as functions  # registers them
