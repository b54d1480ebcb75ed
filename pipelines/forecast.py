"""An LSTM that forecasts a day of hours from a week of them.

kerasdl train forecast
"""

from kerasdl import Config, Forecast, Forecaster, Recipe, Series, SeriesPreprocessing

RECIPE = Recipe(
    model=Config(Forecaster, units=64, dropout=0.3),
    data=Series(),
    task=Forecast(),
    preprocessing=Config(SeriesPreprocessing),
    epochs=6,
    min_steps=750,
    batch_size=64,
    optimizer="adamw",
    learning_rate=1e-3,
    weight_decay=0.01,
    schedule="cosine",
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
