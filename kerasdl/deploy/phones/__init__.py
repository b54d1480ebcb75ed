"""Sample apps for Android and iOS, and measuring on a phone."""
