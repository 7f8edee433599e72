"""Wang et al. 2020: region attention networks on FERPlus and its subsets, RAF-DB, AffectNet and SFEW."""

from edram_fer.papers import access
from edram_fer.papers.paper import Experiment, Figure, Paper, Value

SUBSETS = ("test", "test_occlusion", "test_pose30", "test_pose45")
CROPS = Figure("weight of each region of sample faces", "test/crops.png")
WEIGHTS = Figure("weights of the regions under occlusion and pose", "region_weights.svg")
RANDOM = (
    "The paper starts from a backbone that was trained on millions of faces; here all weights are random, unless "
    "--set initial_weights names such a backbone."
)
EPOCH = "The code keeps the epoch that is best on the test list; here it is chosen on the validation split."
QUICK = ("epochs=1", "backbone=iresnet18", "backbone_filters=(4,4,8,8)", "crop_size=48", "batch_size=32")

PAPER = Paper(
    "wang2020",
    "Wang, Peng, Yang, Meng, Qiao: Region Attention Networks for Pose and Occlusion Robust Facial Expression "
    "Recognition. IEEE Transactions on Image Processing 29, 2020 (arXiv 1905.04075)",
    (
        Experiment(
            "ferplus",
            "FERPlus, eight classes, and its covered and turned faces: ResNet-18",
            recipe="ran_ferplus",
            data="ferplus/majority",
            access=access.FERPLUS,
            splits=SUBSETS,
            values=tuple(
                Value(value, split=split)
                for split, value in zip(SUBSETS, (0.8855, 0.8363, 0.8223, 0.8040), strict=True)
            ),
            figures=(CROPS, WEIGHTS),
            studies=("region_weights",),
            differences=(RANDOM, EPOCH, "3,153 test images instead of 3,137 (majority of the votes)."),
            quick=QUICK,
        ),
        Experiment(
            "ferplus_vgg16",
            "FERPlus, eight classes: VGG-16",
            recipe="ran_ferplus",
            data="ferplus/majority",
            access=access.FERPLUS,
            settings=("backbone=vgg16",),
            values=(Value(0.8916),),
            figures=(CROPS,),
            differences=(RANDOM, EPOCH),
            quick=QUICK,
        ),
        Experiment(
            "raf_db",
            "RAF-DB, seven classes: ResNet-18",
            recipe="ran_ferplus",
            data="raf_db/grey100",
            access=access.RAF_DB,
            settings=("emotions=seven",),
            values=(Value(0.8690),),
            figures=(CROPS,),
            differences=(RANDOM, "The epoch is chosen on a tenth of the training split.", "Grey faces of 100 pixels."),
            preparation={"validation": 0.1},
            quick=QUICK,
        ),
        Experiment(
            "affectnet",
            "AffectNet, eight classes: ResNet-18, seven crops",
            recipe="ran_ferplus",
            data="affectnet/grey100-eight",
            access=access.AFFECTNET,
            settings=("crops=fixed7", "margin=0.02"),
            values=(Value(0.5297),),
            figures=(CROPS,),
            differences=(RANDOM, "The epoch is chosen on 1.2 % of the training split.", "Classes are not resampled."),
            preparation={"classes": "eight", "validation": 0.0122},
            quick=QUICK,
        ),
        Experiment(
            "sfew",
            "SFEW, seven classes: ResNet-18",
            recipe="ran_ferplus",
            data="sfew/grey100",
            access=access.SFEW,
            settings=("emotions=seven",),
            splits=("validation",),
            values=(Value(0.564, split="validation"),),
            differences=(RANDOM, "SFEW has labels for its validation split only, on which the epoch is chosen, too."),
            quick=QUICK,
        ),
    ),
)
