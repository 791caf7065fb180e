"""The OpenAPI document of a fresh appliance, for what is made from it."""
