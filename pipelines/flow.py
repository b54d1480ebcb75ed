"""Flow matching on MNIST's digits, class by class.

kerasdl train flow
kerasdl train flow --data digits
kerasdl generate runs/flow/1 --class 7 --out sevens.png
"""

from kerasdl import Config, FlowMatching, Generation, Recipe, Tfds

RECIPE = Recipe(
    model=Config(FlowMatching, widths=(32, 96), attention=True, conditional=True),
    data=Tfds(name="mnist"),
    task=Generation(judge_by="loss"),  # no samples in each epoch: they cost more than its steps
    epochs=15,
    min_steps=2000,
    batch_size=64,
    optimizer="adamw",
    learning_rate=1.5e-3,
    schedule="cosine",
    warmup_epochs=0.2,
    global_clip_norm=1.0,
    ema_momentum=0.995,
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
