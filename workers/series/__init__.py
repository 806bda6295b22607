"""Series of numbers over time, as every agent takes them: a CSV file of the data folder, or points inline.

`SeriesField` goes into a parameter schema; `load_series` makes a `Series` of what it loaded; `onto_grid` puts
a series on evenly spaced steps. Times without a zone are UTC; a bare number is seconds since 1970-01-01.
"""

from workers.series.field import MAX_INLINE_POINTS, SeriesField, SeriesSpec
from workers.series.grid import Grid, onto_grid
from workers.series.load import MAX_POINTS, load_series
from workers.series.series import Series, data_folder

__all__ = [
    "MAX_INLINE_POINTS",
    "MAX_POINTS",
    "Grid",
    "Series",
    "SeriesField",
    "SeriesSpec",
    "data_folder",
    "load_series",
    "onto_grid",
]
