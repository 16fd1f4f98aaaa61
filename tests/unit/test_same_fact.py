"""Code decides that a short answer is right or wrong only where nobody could see it otherwise; the rest is judged."""

from __future__ import annotations

import pytest

from autodata.domains.tasks.same_fact import MAX_CHARS, same

WHEN, MANY, TALL = "In which year did the Velin engine begin?", "How many doors has it?", "How tall is the mast?"
NONE = "What is recorded of the mast of Gull Point?"
YEAR, METRES = "It began in 2011.", "41 metres"

# question, reference, answer, truth, what code may say: r right, w wrong, j the judge decides. Rows are alike in shape.
R, W, J = "r", "w", "j"
PAIRS: list[tuple[str, str, str, str, str]] = [
    # the same, however it is spelled
    (WHEN, YEAR, "It began in 2011.", R, R),
    (WHEN, YEAR, "it began in 2011", R, R),
    (WHEN, YEAR, "IT BEGAN IN 2011", R, R),
    (WHEN, YEAR, "  **It began  in 2011.** \n", R, R),
    (WHEN, YEAR, '"It began in 2011!"', R, R),
    (TALL, METRES, "41 metres.", R, R),
    (NONE, "Red", "red.", R, R),
    (NONE, "Who\u2019s Who", "Who's Who", R, R),
    (NONE, "\u22125 °C", "-5 °C", R, R),
    (NONE, "No", "no.", R, R),
    # the reference's words in an answer that says something else
    (TALL, "forty-one metres", "It is not forty-one metres; the plan says thirty.", W, J),
    (TALL, "forty-one metres", "Either thirty metres or forty-one metres or fifty metres.", W, J),
    (TALL, "forty-one metres", "One hundred and forty-one metres.", W, J),
    (TALL, "forty-one metres", "Forty-one metres is what the brochure claims, wrongly: thirty.", W, J),
    (TALL, "forty-one metres", "141 metres", W, J),
    (TALL, METRES, "141 metres", W, W),
    (WHEN, "1995", "It was not 1995 but 1997.", W, J),
    (MANY, "5", "5 million litres", W, J),
    (NONE, "No", "There is no doubt: yes", W, J),
    (NONE, "Ada Lind", "Ada Lind, Bo Rask or Cy Dahl", W, J),
    (NONE, "Ada Lind", "Anybody but Ada Lind", W, J),
    (WHEN, YEAR, "It began in 20110.", W, J),
    (WHEN, YEAR, "It did not begin in 2011.", W, J),
    (WHEN, YEAR, "I doubt that it began in 2011.", W, J),
    (WHEN, YEAR, "It began in 2011?", R, J),
    (WHEN, YEAR, "As far as I know it began in 2011, in Utrecht.", R, J),
    # signs, operators, currencies, units, separators and cases that are meaning
    (NONE, "5 °C", "-5 °C", W, J),
    (NONE, "+5", "-5", W, J),
    (NONE, "$5", "€5", W, J),
    (NONE, "$5", "5", W, J),
    (NONE, "5 %", "5", W, J),
    (NONE, "5 km", "5 m", W, J),
    (NONE, "3.5 m", "3,5 m", R, J),
    (NONE, "1.500", "1,500", R, J),
    (NONE, "1.5", "15", W, J),
    (NONE, "10 mW", "10 MW", W, J),
    (NONE, "ten mW", "ten MW", W, J),
    (NONE, "MW", "mW", W, J),
    (NONE, "Co", "CO", W, J),
    (NONE, "> 5 m", "< 5 m", W, J),
    (NONE, "5 m", "~5 m", R, J),
    (NONE, "10^6", "106", W, J),
    (NONE, "10⁶", "106", W, J),
    (NONE, "a/b", "a b", W, J),
    (NONE, "2 x 5", "25", W, J),
    (NONE, "resume", "résumé", W, J),
    (NONE, "not red", "red", W, J),
    # another number in the same unit
    (WHEN, YEAR, "1997", W, W),
    (WHEN, YEAR, "It began in 1997.", W, W),
    (WHEN, YEAR, "The Velin engine began in 1997 in Utrecht.", W, W),
    (TALL, METRES, "30 metres.", W, W),
    (TALL, "The mast is 41 metres tall.", "The mast is 63 metres high.", W, W),
    (TALL, METRES, "It is 30 metres tall.", W, W),
    (MANY, "12 doors", "It has 9 doors.", W, W),
    (WHEN, "3 May 1931", "It began on 12 June 1928.", W, W),
    (WHEN, "3 May 1931", "On July 12, 1928.", W, W),
    (TALL, "1,250 metres", "2,480 metres", W, W),
    (NONE, "12 kHz", "17 kHz", W, W),
    # the same amount in another spelling, or perhaps so
    (TALL, METRES, "forty-one metres", R, J),
    (TALL, "forty-one metres", "41 metres", R, J),
    (TALL, METRES, "41 m", R, J),
    (TALL, METRES, "4,100 centimetres", R, J),
    (TALL, METRES, "134.5 feet", R, J),
    (TALL, METRES, "0.041 km", R, J),
    (TALL, METRES, "41", R, J),
    (TALL, METRES, "30", W, J),
    (TALL, "41.0 metres", "41 metres", R, J),
    (TALL, "41.27 metres", "41.3 metres", R, J),
    (TALL, "41.27 metres", "About 41 metres", R, J),
    (NONE, "299,792 km/s", "300,000 km/s", R, J),
    (NONE, "0.5", "1/2", R, J),
    (NONE, "0.5", "50 %", R, J),
    (NONE, "50 percent", "0.5", R, J),
    (NONE, "50 percent", "half", R, J),
    (NONE, "5 million litres", "5,000,000 litres", R, J),
    (NONE, "5 thousand litres", "5 litres", W, J),
    (NONE, "$5m", "$5,000,000", R, J),
    (NONE, "2:30 pm", "14:30", R, J),
    (NONE, "1e6", "1000000", R, J),
    (NONE, "5", "V", R, J),
    (NONE, "Louis XIV in 1715", "Louis 14, 1715", R, J),
    (WHEN, "1997", "'97", R, J),
    (WHEN, "1997", "In 97.", R, J),
    (WHEN, "1931-05-03", "3 May 1931", R, J),
    (WHEN, "3 May 1931", "03/05/31", R, J),
    (WHEN, "2011", "5 years before 2016", R, J),
    (WHEN, "the 1990s", "1994", R, J),
    (WHEN, "44 BC", "43 BC", W, J),
    (MANY, "4 engines", "2 engines on each side", R, J),
    (MANY, "42 doors", "12 doors in front and 30 doors behind", R, J),
    (MANY, "24 doors", "2 dozen doors", R, J),
    (MANY, "41 000", "41,000", R, J),
    (MANY, "15", "between 10 and 20", W, J),
    (MANY, "15", "10-20", W, J),
    (MANY, "0", "It has no doors.", R, J),
    (MANY, "5", "\u0665", R, J),
    (MANY, "5", "5️⃣", R, J),
    ("How many million people live there?", "5", "5,000,000", R, J),
    ("What percentage is red?", "50", "0.5", R, J),
    # the number is not the fact, or nothing else is written
    ("Where did the Velin engine begin?", "It began in Utrecht in 2011.", "Utrecht, in 1998", R, J),
    ("Who built it?", "Ada Lind, in 2011.", "It was Ada Lind in 2010.", R, J),
    ("What colour was the mast painted in 1931?", "Red, at a height of 41 metres.", "Red, at 30 metres.", R, J),
    ("When and where did it begin?", "In Utrecht in 2011.", "In Utrecht in 1998.", W, J),
    ("Which of the 12 doors is red?", "Door 7 of the 12.", "One of the 12.", W, J),
    (MANY, "12 doors", "I do not know.", W, J),
    # rates, negations, and questions for a rough number
    ("How long does the pump run?", "8 hours a day", "56 hours a week", R, J),
    ("How often is it read?", "2 times a day", "14 times a week", R, J),
    ("How much is paid?", "52 euros yearly", "1 euros weekly", R, J),
    (TALL, METRES, "It isn't 30 metres", W, J),
    (TALL, "It was not 41 metres", "30 metres", W, J),
    (TALL, METRES, "The claim of 30 metres is wrong", W, J),
    ("About how tall is the mast?", METRES, "43 metres", R, J),
    ("Approximately how tall is the mast?", METRES, "43 metres", R, J),
    ("What is the estimated height of the mast?", METRES, "43 metres", R, J),
    (WHEN, YEAR, "", W, J),
    (WHEN, "", "", W, J),
    (NONE, "B52", "B53", W, J),
    (NONE, "COVID-19", "SARS 2", W, J),
]


@pytest.mark.parametrize(("question", "reference", "answer", "truth", "code"), PAIRS)
def test_code_decides_only_what_is_certain(question: str, reference: str, answer: str, truth: str, code: str) -> None:
    said = {True: R, False: W, None: J}[same(reference, answer, question)]
    assert said in {truth, J}, "a wrong verdict by code"
    assert said == code


def test_the_table_is_broad() -> None:
    assert len({pair[:3] for pair in PAIRS}) == len(PAIRS) >= 100
    assert {pair[4] for pair in PAIRS} == {R, W, J}
    assert all(pair[4] in {pair[3], J} for pair in PAIRS)


@pytest.mark.parametrize("piece", ["1,111", "111 ", "1", "one ", "forty-", "½", "May 1 ", "m ", "(((", "****", "\n\n"])
def test_long_answers_are_left_to_the_judge_at_once(piece: str) -> None:
    long = piece * (1_000_000 // len(piece))
    assert same(METRES, long, TALL) is None
    assert same(METRES, long[: MAX_CHARS - 1], TALL) in {None, False}
