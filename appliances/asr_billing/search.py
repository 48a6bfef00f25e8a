"""What a subscriber is found by: words, each found by its beginning; numbers of up to three digits only whole.

House 5 is not house 51, and three digits are in every phone. So every stored word has the sign END behind it, and a
term that has to be a whole word ends in it too. Plain functions over texts.
"""

from __future__ import annotations

import re
import unicodedata

from appliances.asr_billing.subscriber import Details

END = "."
LONGEST_WORD = 63  # characters, without END; the column subscriber_word.word holds both
MOST_TERMS = 8
SHORTEST_PHONE_END = 4  # digits: people remember a number by its end
_WORD = re.compile(r"[^\W_]+")
_NUMBER_ONLY = re.compile(r"[+0-9 ()./-]+")


def normal(text: str) -> str:
    """Text for comparison: compatibility form, no case, ё as е, no stress marks."""
    folded = unicodedata.normalize("NFKD", text).casefold().replace("е\u0308", "е")
    kept = "".join(
        character for character in folded if not unicodedata.combining(character) or character == "\u0306"
    )  # U+0306 tells й from и
    return unicodedata.normalize("NFC", kept)


def words(text: str) -> list[str]:
    """Normal words of a text, in order: runs of letters and digits."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(normal(text))]


def search_words(details: Details) -> set[str]:
    """Every word by whose beginning a subscriber is found, with END behind it."""
    found = {word for text in (details.name, details.contract, details.email, details.address) for word in words(text)}
    found.add("".join(words(details.contract))[:LONGEST_WORD])
    digits = details.phone.removeprefix("+")
    found.update(digits[start:] for start in range(max(1, len(digits) - SHORTEST_PHONE_END + 1)))
    if details.phone.startswith("+7"):
        found.add("8" + digits[1:])  # as it is dialled inside Russia
    return {word + END for word in found if word}


def search_terms(query: str) -> list[str]:
    """Beginnings that must all be found, longest first. A query of digits and signs is one number."""
    query = query.strip()
    digits = "".join(character for character in query if character in "0123456789")
    if len(digits) >= SHORTEST_PHONE_END and _NUMBER_ONLY.fullmatch(query):
        return [digits[:LONGEST_WORD]]
    unique = sorted(set(words(query)), key=lambda word: (-len(word), word))
    return [word + END if word.isdigit() and len(word) < SHORTEST_PHONE_END else word for word in unique[:MOST_TERMS]]
