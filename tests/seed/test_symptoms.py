"""What people type leads to the doctors whom they mean, by the server's own understanding."""

from uuid import UUID

import pytest

from launch.seed import reference
from server.directory.symptoms import Lexicon

SPECIALTIES = {one.specialty_id: one for one in reference.specialties()}
LEXICON = Lexicon(
    [(word, key, n) for key, one in SPECIALTIES.items() for word, n in one.keywords.items()]
)
EXPECTED = """
my skin is itching|dermatology
red patches on my skin|dermatology
sugar is high|diabetology
my tooth hurts|dentistry
teeth are paining|dentistry
cavity in tooth|dentistry
bleeding gums|periodontics
acidity|gastroenterology
gas and bloating|gastroenterology
loose motions since yesterday|gastroenterology
stomach ache|gastroenterology
constipation|gastroenterology
baby has fever|pediatrics
child cough and cold|pediatrics
baby not speaking yet|developmental-pediatrics
autism|developmental-pediatrics
knee pain|orthopedics
fractured wrist|orthopedics
back pain|orthopedics
slip disc|spine-surgery
pimples|dermatology
hair fall|trichology
i can't sleep|sleep-medicine
i feel depressed|psychiatry
anxiety and panic attacks|psychiatry
marriage problem|clinical-psychology
need counselling|clinical-psychology
periods are irregular|obstetrics-gynecology
missed my period|obstetrics-gynecology
pcod|obstetrics-gynecology
i am pregnant|obstetrics-gynecology
not getting pregnant|reproductive-medicine
burning while passing urine|urology
kidney stone|urology
high creatinine|nephrology
bp is high|cardiology
chest pain and sweating|cardiology
heart beating fast|cardiology
breathless while climbing stairs|pulmonology
asthma|pulmonology
dry cough|pulmonology
ear pain|otolaryngology
blocked nose|otolaryngology
sore throat|otolaryngology
tonsils|otolaryngology
blurry vision|ophthalmology
eye redness|ophthalmology
cataract operation|ophthalmology
need new glasses|optometry
fits|neurology
migraine|neurology
numbness in hands|neurology
paralysis|neurology
piles|proctology
jaundice|hepatology
fatty liver|hepatology
thyroid|endocrinology
joint pain in the morning with swelling|rheumatology
uric acid|rheumatology
hernia|general-surgery
breast lump|breast-surgery
cancer|medical-oncology
anemia|hematology
dengue|internal-medicine
dog bite|infectious-diseases
allergy to peanuts|allergy-immunology
diet plan to lose weight|nutrition-dietetics
full body checkup|preventive-medicine
frozen shoulder|physiotherapy
quit smoking|addiction-medicine
premature ejaculation|sexology
varicose veins|vascular-surgery
burns|plastic-surgery
accident|emergency-medicine
old father keeps falling|geriatrics
crooked teeth|orthodontics
root canal|endodontics
wisdom tooth|oral-maxillofacial-surgery
snoring|sleep-medicine
fever|general-physician
body pain|general-physician
viral fever|general-physician
ghutne me dard|orthopedics
pet dard|gastroenterology
bukhar|general-physician
khansi|pulmonology
pathri|urology
bawasir|proctology
"""
SENTENCES = [tuple(line.split("|")) for line in EXPECTED.strip().splitlines()]


def best(scores: dict[UUID, int]) -> list[str]:
    """List slugs by score, the best first."""
    return [SPECIALTIES[key].slug for key in sorted(scores, key=lambda key: -scores[key])]


@pytest.mark.parametrize(("sentence", "slug"), SENTENCES)
def test_a_lay_sentence_finds_the_doctor(sentence: str, slug: str) -> None:
    assert slug in best(LEXICON.specialties(sentence))[:3]


def test_most_sentences_name_the_right_doctor_first() -> None:
    first = [best(LEXICON.specialties(sentence))[0] == slug for sentence, slug in SENTENCES]
    assert sum(first) >= len(first) * 0.9


@pytest.mark.parametrize("specialty", SPECIALTIES.values(), ids=lambda one: one.slug)
def test_a_specialty_is_reached_by_every_word_of_its_own(specialty: reference.Specialty) -> None:
    for word in specialty.keywords:
        assert specialty.specialty_id in LEXICON.specialties(word), word
