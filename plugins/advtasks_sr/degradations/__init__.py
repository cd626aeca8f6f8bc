"""Low-resolution pictures as the world makes them: blurred, resized, noisy and compressed, by a recipe in YAML."""

from advtasks.draws import Draws as Draws
from advtasks_sr.degradations.blur import filtered as filtered
from advtasks_sr.degradations.fixed import degrade_rgb8 as degrade_rgb8
from advtasks_sr.degradations.load import BICUBIC as BICUBIC
from advtasks_sr.degradations.load import PRESETS as PRESETS
from advtasks_sr.degradations.load import digest as digest
from advtasks_sr.degradations.load import load_recipe as load_recipe
from advtasks_sr.degradations.load import to_json as to_json
from advtasks_sr.degradations.pipeline import degrade as degrade
from advtasks_sr.degradations.recipe import Recipe as Recipe
