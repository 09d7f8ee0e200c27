"""What the page is made of: what it says, where its plots have their lines and marks, and its templates."""
