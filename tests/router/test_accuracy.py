"""How often the router is right, by kind, on what was written down before it was made.

Right is the exact answer: all the steps, no other, in the order of the text.
"""
