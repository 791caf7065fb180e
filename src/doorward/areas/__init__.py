"""What an area of the appliance is to the rest of it, and the background work of areas."""
