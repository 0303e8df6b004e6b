"""Tests that share one Hydria on real VFs: starting it takes an emulated CPU two minutes."""
