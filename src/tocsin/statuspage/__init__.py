"""The public status page: it will read views only, and stay up while the engine is down.

Empty for now. It will hold components, their history, and what subscribers are told.
"""
