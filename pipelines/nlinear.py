"""NLinear that forecasts a day of hours.

kerasdl train nlinear
"""

from kerasdl import Config, Forecast, NLinear, Recipe, Series, SeriesPreprocessing

RECIPE = Recipe(
    model=Config(NLinear),
    data=Series(),
    task=Forecast(),
    preprocessing=Config(SeriesPreprocessing),
    epochs=10,
    min_steps=1000,
    batch_size=64,
    optimizer="adamw",
    learning_rate=5e-3,
    schedule="cosine",
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
