"""How a call reaches its data: what every domain on top shares, knowing none of them."""
