"""What people read: page, figures, model card."""
