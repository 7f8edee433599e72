"""The command line with the toy among the models. `launch` starts this script again for its processes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.toy import Toy

from edram_fer import cli, models

models.MODELS["toy"] = Toy

if __name__ == "__main__":
    cli.main()
