"""A page and a REST endpoint around an exported model: `pneumo serve`. No torch here either."""
