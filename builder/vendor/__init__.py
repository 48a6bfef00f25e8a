"""The vendor's installer ISO as the first way of making ours: look at it, edit its menus, replay its boot records."""

from builder.vendor.medium import Medium, look
from builder.vendor.menu import MenuOptions
from builder.vendor.remake import Report, check_label, remake

__all__ = ["Medium", "MenuOptions", "Report", "check_label", "look", "remake"]
