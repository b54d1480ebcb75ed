"""LeNet-5 with ReLU and max pooling, on MNIST: 99.46 %.

    kerasdl train lenet5

Measured on 2 cores of an AMD EPYC, TensorFlow 2.21.0, Keras 3.15.1, test accuracy of seeds 0, 1, 2:

* MNIST: 99.41, 99.49, 99.49 % (mean 99.46), trained on 54,001 images; 69 to 80 s from loading the data to the
  end of the evaluation (15 epochs). The paper reports 99.05 %.
* digits (`--data digits`): 98.61, 99.72, 98.61 % (mean 98.98) of 359 held-out images; 22 to 32 s from the
  command to the verified bundle.
"""

from kerasdl import Classification, Config, ImagePreprocessing, LeNet5, RandomAffine, Recipe, Tfds

RECIPE = Recipe(
    model=Config(LeNet5, activation="relu", pooling="max", dropout=0.1),
    data=Tfds(name="mnist"),
    task=Classification(),
    preprocessing=Config(ImagePreprocessing, size=(28, 28), channels=1),
    augmentation=RandomAffine(shift=0.08, rotation=10.0, zoom=0.1),
    epochs=15,
    min_steps=2000,
    min_steps_per_epoch=10,
    batch_size=64,
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=0.01,
    schedule="cosine",
    warmup_epochs=0.5,
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
