"""The delivery protocol as a model small enough to search whole."""
