"""A character language model with two LSTM layers: 1.48 nats a character on tiny Shakespeare.

    kerasdl train char_lm
    kerasdl train char_lm --data tiny_shakespeare --precision mixed_bfloat16
    kerasdl train char_lm --data novel.txt

Measured on tiny Shakespeare, seed 0, in mixed_bfloat16, on 2 cores of an AMD EPYC of which other work took
half, TensorFlow 2.21.0, Keras 3.15.1, stopped after 45 minutes (8.3 of 9 epochs; `--max-time 45m`), in nats:

* windows of 256 characters without a past: validation 1.407, test 1.548, both together 1.477;
* state carried, in 16 parts: validation 1.376, test 1.519, both together 1.448;
* an n-gram model of order 4: validation 1.590, test 1.790, both together 1.690.

Both together are nanoGPT's validation set. Seeds 1 and 2, in float32, all 9 epochs, some 85 CPU-minutes each
on one core of another processor: without a past 1.413, 1.547 and 1.480, and 1.409, 1.552 and 1.480; state
carried 1.379, 1.515 and 1.447, and 1.378, 1.523 and 1.451. The default text, a tenth of this one, was not
measured.
"""

from kerasdl import CharLM, Config, Corpus, LanguageModel, Recipe

RECIPE = Recipe(
    model=Config(CharLM, embedding_dim=64, units=512, num_layers=2, dropout=0.4),
    data=Corpus(),
    task=LanguageModel(),
    epochs=9,
    min_steps=700,
    batch_size=64,
    optimizer="adamw",
    learning_rate=3e-3,
    weight_decay=0.01,
    schedule="cosine",
    warmup_epochs=0.2,
    global_clip_norm=1.0,
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
