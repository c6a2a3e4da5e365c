"""The trial that stays: thousands of hostile inputs and faults, made from a seed."""
