"""Titles and categories of the sample's items.

The data set has descriptions in capitals and no categories. A category is read off the title: a
seasonal word anywhere decides, otherwise the last word that names a kind of thing, because English
puts the head of a compound last ("RED RETROSPOT PUDDING BOWL" is a bowl). What names nothing known
is "other".
"""

import re
import string

# Decide wherever they stand, in this order.
_SEASONS = {
    "christmas": "CHRISTMAS XMAS SANTA ADVENT REINDEER SNOWMAN SNOWFLAKE SNOWFLAKES BAUBLE BAUBLES "
                 "NOEL NATIVITY STOCKING",
    "easter": "EASTER",
}

_KINDS = {
    "albums and frames": "ALBUM FRAME FRAMES PHOTO POLAROID",
    "bags": "BAG BAGS SHOPPER TOTE HANDBAG WASHBAG RUCKSACK BACKPACK",
    "bathroom": "SOAP BATH TOILET BATHROOM SPONGE TISSUES FLANNEL TOWEL TOWELS HANKIES",
    "bottles and jars": "BOTTLE BOTTLES JAR JARS JUG JUGS PITCHER FLASK DECANTER",
    "bowls and plates": "BOWL BOWLS PLATE PLATES DISH DISHES SAUCER PLATTER RAMEKIN",
    "boxes and tins": "BOX BOXES TIN TINS BASKET BASKETS CRATE TRUNK CADDY CHEST CHESTS LUNCH "
                      "PICNIC SNACK BIN",
    "cake and baking": "CAKE CAKESTAND BAKING CASE CASES CUPCAKE CUPCAKES JELLY MOULD MOULDS MUFFIN COOKIE "
                       "CAKES ICING CUTTER CUTTERS",
    "candles": "CANDLE CANDLES CANDLESTICK CANDLEHOLDER CANDLEPOT TLIGHT TLIGHTS INCENSE LANTERN "
               "LANTERNS VOTIVE OIL BURNER FRAGRANCE POTPOURRI",
    "cards and wrap": "CARD CARDS WRAP WRAPPING RIBBON RIBBONS ENVELOPE ENVELOPES INVITE INVITES "
                      "TISSUE DECOUPAGE POSTCARD POSTCARDS",
    "chalkboards and signs": "SIGN SIGNS CHALKBOARD BLACKBOARD PLAQUE BOARD NOTICEBOARD MEMOBOARD",
    "clocks": "CLOCK CLOCKS ALARM TIMER",
    "clothing and accessories": "SCARF SCARVES GLOVES HAT SLIPPERS SLIPPER SARONG SOCKS APRON APRONS "
                                "UMBRELLA PARASOL PONCHO FAN SHAWL BELT SUNGLASSES WARMER WARMERS",
    "craft and sewing": "SEWING FELTCRAFT KNITTING PATCHES BUTTONS CRAFT CROCHET TAPE KIT KITS BEADS "
                        "THREAD NEEDLEPOINT STENCIL",
    "cups and mugs": "MUG MUGS CUP CUPS BEAKER GLASS GLASSES TUMBLER GOBLET TANKARD",
    "cushions and textiles": "CUSHION CUSHIONS QUILT THROW BLANKET PILLOW CURTAIN RUG TABLECLOTH "
                             "FABRIC BEDSPREAD COVER COVERS NAPKINS NAPKIN RUNNER",
    "decorations": "DECORATION DECORATIONS GARLAND GARLANDS BUNTING WREATH WREATHS CHAIN CHAINS "
                   "ORNAMENT ORNAMENTS MOBILE FEATHER FEATHERS CHIME CHIMES HEART HEARTS STAR STARS "
                   "BIRD BIRDS DOVE BELL BELLS ANGEL CHERUB FAIRY SPINNER SPINNERS STRING CHICKS",
    "doors and mats": "DOORMAT DOORSTOP MAT DOOR DRAUGHT",
    "flowers and garden": "GARDEN FLOWER FLOWERS PLANT PLANTER POT POTS WATERING GNOME SEEDS HERB VASE "
                          "TROWEL BOUQUET BULB TULIP BIRDHOUSE FEEDER WINDMILL GARDENERS DAISY BASE",
    "furniture": "CABINET TABLE CHAIR STOOL SHELF SHELVES DRAWER DRAWERS DRESSER UNIT BENCH CUPBOARD "
                 "LADDER DECKCHAIR",
    "hooks and hangers": "HOOK HOOKS HANGER HANGERS RACK PEGS PEG RAIL COATRACK",
    "jewellery": "NECKLACE BRACELET BRACELETS EARRING EARRINGS RING RINGS BROOCH CHARM PENDANT HAIRCLIP "
                 "HAIRCLIPS HAIR BANGLE BANGLES KEYRING TIARA ANKLET BEAD CHOKER NECKLACES BLING DIAMANTE "
                 "HAIRBAND HAIRSLIDE HAIRSLIDES CUFF",
    "kitchen": "KITCHEN COASTER COASTERS CUTLERY SPOON SPOONS SPATULA COLANDER SCALES MEASURING BUTTER "
               "TRIVET PAN PLACEMAT GLOVE OVEN RECIPE PANTRY SIEVE WHISK SAUCEPAN FORK KNIFE SALT PEPPER "
               "TONGS CRUET SUGAR PLACEMATS TRAY TRAYS STRAWS STRAW",
    "lamps and lights": "LAMP LAMPS LIGHT LIGHTS LAMPSHADE CHANDELIER TORCH SHADE BULBS",
    "letters and numbers": "ALPHABET LETTER LETTERS NUMBER NUMBERS TILE TILES",
    "luggage and travel": "LUGGAGE TRAVEL PASSPORT TAG TAGS WALLET",
    "magnets": "MAGNET MAGNETS",
    "mirrors": "MIRROR MIRRORS",
    "notebooks and stationery": "NOTEBOOK NOTEBOOKS PEN PENS PENCIL PENCILS ERASER ERASERS JOURNAL BOOK "
                                "BOOKS NOTE NOTES STICKER STICKERS STICKY ORGANISER CALENDAR RULER "
                                "SHARPENER SCISSOR SKETCHBOOK CRAYONS CHALK STAMP STAMPS STATIONERY PAD PADS CLIP CLIPS "
                                "CLIPBOARD PAINTS PAINT FILE CALCULATOR",
    "parties": "PARTY BALLOON BALLOONS CANDY BIRTHDAY PINATA CONFETTI DOILY DOILIES DOILEY",
    "purses": "PURSE PURSES CLUTCH POUCH",
    "storage": "STORAGE HOLDER HOLDERS STAND JEWELLERY TIDY MONEY BANK PIGGY SAFE",
    "tea and coffee": "TEA TEAPOT COFFEE COSY CAFETIERE COCOA CHOCOLATE",
    "toys and games": "TOY TOYS GAME GAMES DOLL DOLLS PUZZLE PUZZLES SKITTLES DOMINOES BLOCKS JIGSAW "
                      "BALL BALLS YOYO MARBLES PLAYING SNAKES PUPPET PUPPETS JACKS TOPS RABBIT BUNNY CAR "
                      "ROPE SKIPPING DINOSAUR ANIMAL ANIMALS SOLDIER SOLDIERS GLIDERS GLIDER TATTOOS "
                      "RATTLE BINGO CRAYON FRISBEE DOG BEAR DUCK TRAIN",
    "wall art": "ART PICTURE PICTURES PRINT CANVAS POSTER WALL",
    "warmers": "HOT",
}


def _table(categories):
    return {word: name for name, words in categories.items() for word in words.split()}


_SEASON_OF, _KIND_OF = _table(_SEASONS), _table(_KINDS)

CATEGORIES = sorted({*_SEASONS, *_KINDS, "other"})


def clean_title(description):
    """One space between words, capitals only at their beginnings."""
    return string.capwords(description)


def category(title):
    words = re.findall(r"[^\W\d_]+", title.upper().replace("T-LIGHT", "TLIGHT"))
    for word in words:
        if word in _SEASON_OF:
            return _SEASON_OF[word]
    # A holder of tea lights is about light, not about holding.
    if "TLIGHT" in words or "TLIGHTS" in words:
        return "candles"
    if "HOT" in words and "WATER" in words:
        return "warmers"
    for word in reversed(words):
        if word in _KIND_OF:
            return _KIND_OF[word]
    return "other"
