"""How to get the data sets of the papers."""

AFFECTNET = "Request AffectNet from its authors (http://mohammadmahoor.com/affectnet/)."
CK_PLUS = "Request CK+ (http://www.jeffcohn.net/Resources/)."
FER2013 = (
    "Download FER2013 with a Kaggle account (https://www.kaggle.com/c/challenges-in-representation-learning-facial-"
    "expression-recognition-challenge/data)."
)
FERG = "Request FERG-DB (https://grail.cs.washington.edu/projects/deepexpr/ferg-2d-db.html)."
FERPLUS = (
    f"{FER2013} FERPlus has the labels (https://github.com/microsoft/FERPlus), and "
    "https://github.com/kaiwang960112/Challenge-condition-FER-dataset the lists of covered and turned faces."
)
JAFFE = "Request JAFFE (https://zenodo.org/records/3451524)."
RAF_DB = "Request RAF-DB (http://www.whdeng.cn/RAF/model1.html)."
SFEW = "Request SFEW 2.0 (https://users.cecs.anu.edu.au/~few_group/AFEW.html)."
