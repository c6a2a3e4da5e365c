"""Methods that change how gradients flow, each by a table from operation to rule (`xai_nlp.hooks.gradient_rules`)."""
