# ruff: noqa: E501  tables of words
"""Columns of made tables that identify nobody, in six languages: headers and values as hospitals write them."""

import random

Values = list[str]
# concept: by language "headers | values", values separated by ;
CATEGORIES: dict[str, dict[str, str]] = {
    "sex": {"en": "sex gender|male;female", "de": "Geschlecht|männlich;weiblich;divers", "fr": "sexe|homme;femme", "es": "sexo|hombre;mujer", "it": "sesso|maschio;femmina", "pt": "sexo|masculino;feminino"},
    "smoking": {"en": "smoking_status|never smoker;former smoker;current smoker", "de": "Raucherstatus|Raucher;Nichtraucher;ehemaliger Raucher", "fr": "tabac|fumeur;non-fumeur;ancien fumeur", "es": "tabaquismo|fumador;no fumador;exfumador", "it": "fumo|fumatore;non fumatore;ex fumatore", "pt": "tabagismo|fumador;não fumador;ex-fumador"},
    "blood": {"en": "blood_type|A+;O-;AB+;B-", "de": "Blutgruppe|A+;0-;AB+", "fr": "groupe_sanguin|A+;O-", "es": "grupo_sanguineo|A+;O-", "it": "gruppo_sanguigno|A+;0-", "pt": "grupo_sanguineo|A+;O-"},
    "ward": {"en": "ward_type|medical;surgical;ICU;maternity", "de": "Abteilung|Innere Medizin;Chirurgie;Intensivstation;Kinderklinik", "fr": "service|médecine interne;chirurgie;réanimation;pédiatrie", "es": "servicio|medicina interna;cirugía;UCI;pediatría", "it": "reparto|medicina interna;chirurgia;terapia intensiva;pediatria", "pt": "serviço|medicina interna;cirurgia;pediatria;urgência"},
    "severity": {"en": "severity|mild;moderate;severe", "de": "Schweregrad|leicht;mittel;schwer", "fr": "gravité|légère;modérée;sévère", "es": "gravedad|leve;moderada;grave", "it": "gravità|lieve;moderata;grave", "pt": "gravidade|leve;moderada;grave"},
    "stage": {"en": "tumor_stage|I;II;IIIA;IV", "de": "Stadium|I;II;III;IV", "fr": "stade|I;II;III", "es": "estadio|I;II;IIIB", "it": "stadio|I;II;III", "pt": "estadio|I;II;III;IV"},
    "answer": {"en": "diabetic|yes;no;unknown", "de": "Diabetiker|ja;nein;unbekannt", "fr": "diabétique|oui;non", "es": "diabético|sí;no", "it": "diabetico|sì;no", "pt": "diabético|sim;não"},
    "outcome": {"en": "outcome|discharged home;transferred;died;left against medical advice", "de": "Entlassungsart|nach Hause entlassen;verlegt;verstorben", "fr": "mode_sortie|domicile;transfert;décès", "es": "tipo_alta|domicilio;traslado;exitus", "it": "esito|dimesso;trasferito;deceduto", "pt": "destino_alta|domicílio;transferência;óbito"},
    "race": {"en": "race|White;Black or African American;Asian;American Indian or Alaska Native;Other", "de": "Ethnie|europäisch;afrikanisch;asiatisch", "fr": "origine_ethnique|européenne;africaine;asiatique", "es": "etnia|mestizo;blanco;indígena", "it": "etnia|europea;africana;asiatica", "pt": "raça|branca;preta;parda;amarela"},
    "insurance": {"en": "payer_type|Medicare;Medicaid;private;self-pay", "de": "Versicherungsart|gesetzlich;privat;Selbstzahler", "fr": "couverture|régime général;mutuelle;CMU", "es": "tipo_seguro|seguridad social;privado;mutua", "it": "assicurazione|pubblica;privata;nessuna", "pt": "tipo_seguro|público;privado;nenhum"},
    "marital": {"en": "marital_status|single;married;divorced;widowed", "de": "Familienstand|ledig;verheiratet;geschieden;verwitwet", "fr": "situation_familiale|célibataire;marié;divorcé;veuf", "es": "estado_civil|soltero;casado;divorciado;viudo", "it": "stato_civile|celibe;coniugato;divorziato;vedovo", "pt": "estado_civil|solteiro;casado;divorciado;viúvo"},
    "admission": {"en": "admission_type|emergency;elective;urgent;newborn", "de": "Aufnahmeart|Notfall;elektiv;Verlegung", "fr": "type_admission|urgence;programmée;transfert", "es": "tipo_ingreso|urgente;programado", "it": "tipo_ricovero|urgente;programmato;ordinario", "pt": "tipo_admissão|urgente;programado"},
    "education": {"en": "education|high school;college;graduate degree;less than high school", "de": "Bildung|Hauptschule;Abitur;Hochschule", "fr": "études|primaire;secondaire;supérieur", "es": "estudios|primarios;secundarios;universitarios", "it": "istruzione|elementare;media;superiore;laurea", "pt": "escolaridade|básico;secundário;superior"},
    "diagnosis": {"en": "diagnosis|hypertension;type 2 diabetes mellitus;community acquired pneumonia;Parkinson's disease;acute myocardial infarction", "de": "Diagnose|arterielle Hypertonie;Diabetes mellitus Typ 2;Pneumonie;Herzinsuffizienz;Harnwegsinfekt", "fr": "diagnostic|hypertension artérielle;diabète de type 2;pneumonie;insuffisance cardiaque", "es": "diagnóstico|hipertensión arterial;diabetes mellitus tipo 2;neumonía;insuficiencia cardíaca", "it": "diagnosi|ipertensione arteriosa;diabete mellito tipo 2;polmonite;scompenso cardiaco", "pt": "diagnóstico|hipertensão arterial;diabetes tipo 2;pneumonia;insuficiência cardíaca"},
    "drug": {"en": "medication|metformin;lisinopril;atorvastatin;amoxicillin;insulin glargine;apixaban", "de": "Wirkstoff|Metformin;Ramipril;Pantoprazol;Bisoprolol;Metamizol", "fr": "médicament|metformine;ramipril;paracétamol;oméprazole;furosémide", "es": "fármaco|metformina;enalapril;omeprazol;paracetamol;furosemida", "it": "farmaco|metformina;ramipril;pantoprazolo;paracetamolo;furosemide", "pt": "medicamento|metformina;enalapril;omeprazol;paracetamol;furosemida"},
    "route": {"en": "route|oral;intravenous;subcutaneous", "de": "Applikation|oral;intravenös;subkutan", "fr": "voie|orale;intraveineuse;sous-cutanée", "es": "vía|oral;intravenosa;subcutánea", "it": "via_somm|orale;endovenosa;sottocutanea", "pt": "via_adm|oral;intravenosa;subcutânea"},
    "analyte": {"en": "test_name|Glucose;Creatinine;Hemoglobin;Potassium;White blood cell count", "de": "Analyt|Glukose;Kreatinin;Hämoglobin;Kalium;Leukozyten", "fr": "analyse|glycémie;créatinine;hémoglobine;potassium;leucocytes", "es": "prueba|glucosa;creatinina;hemoglobina;potasio;leucocitos", "it": "esame|glicemia;creatinina;emoglobina;potassio;leucociti", "pt": "exame|glicose;creatinina;hemoglobina;potássio;leucócitos"},
    "flag": {"en": "abnormal_flag|H;L;N", "de": "Bewertung|normal;erhöht;erniedrigt", "fr": "interprétation|normal;élevé;bas", "es": "interpretación|normal;alto;bajo", "it": "interpretazione|normale;alto;basso", "pt": "interpretação|normal;alto;baixo"},
    "specimen": {"en": "specimen|blood;serum;urine", "de": "Material|Blut;Serum;Urin", "fr": "prélèvement|sang;sérum;urines", "es": "muestra|sangre;suero;orina", "it": "campione|sangue;siero;urine", "pt": "amostra|sangue;soro;urina"},
    "modality": {"en": "modality|CT;MR;US;CR", "de": "Modalität|CT;MRT;Sonographie;Röntgen", "fr": "modalité|scanner;IRM;échographie;radiographie", "es": "modalidad|TAC;resonancia magnética;ecografía;radiografía", "it": "modalità|TAC;risonanza magnetica;ecografia;radiografia", "pt": "modalidade|TAC;ressonância magnética;ecografia;radiografia"},
    "body": {"en": "body_part|chest;abdomen;knee;head", "de": "Körperteil|Thorax;Abdomen;Knie;Schädel", "fr": "région|thorax;abdomen;genou;crâne", "es": "región|tórax;abdomen;rodilla;cráneo", "it": "distretto|torace;addome;ginocchio;cranio", "pt": "região|tórax;abdómen;joelho;crânio"},
    "priority": {"en": "priority|routine;urgent;stat", "de": "Dringlichkeit|normal;dringend;Notfall", "fr": "priorité|normale;urgente", "es": "prioridad|normal;urgente;preferente", "it": "priorità|ordinaria;urgente;differibile", "pt": "prioridade|normal;urgente"},
    "event": {"en": "alarm_type|low battery;occlusion;power failure;leak", "de": "Alarmart|Batterie schwach;Okklusion;Stromausfall", "fr": "type_alarme|batterie faible;occlusion;panne", "es": "tipo_alarma|batería baja;oclusión;fallo", "it": "tipo_allarme|batteria scarica;occlusione;guasto", "pt": "tipo_alarme|bateria fraca;oclusão;falha"},
    "relation": {"en": "relation_to_proband|mother;father;brother;maternal aunt", "de": "Verwandtschaft|Mutter;Vater;Bruder;Tante", "fr": "lien_parenté|mère;père;frère;tante", "es": "parentesco|madre;padre;hermano;tía", "it": "parentela|madre;padre;fratello;zia", "pt": "parentesco|mãe;pai;irmão;tia"},
    "affected": {"en": "affection_status|affected;unaffected;carrier", "de": "Status|betroffen;nicht betroffen;Anlageträger", "fr": "statut|atteint;sain;porteur", "es": "estado|afectado;sano;portador", "it": "stato|affetto;sano;portatore", "pt": "estado|afetado;saudável;portador"},
    "likert": {"en": "q5_satisfaction|very satisfied;satisfied;neutral;dissatisfied", "de": "F5_Zufriedenheit|sehr zufrieden;zufrieden;unzufrieden", "fr": "q5_satisfaction|très satisfait;satisfait;insatisfait", "es": "p5_satisfacción|muy satisfecho;satisfecho;insatisfecho", "it": "d5_soddisfazione|molto soddisfatto;soddisfatto;insoddisfatto", "pt": "p5_satisfação|muito satisfeito;satisfeito;insatisfeito"},
    "frequency": {"en": "frequency|twice daily;once daily;every 8 hours;as needed", "de": "Häufigkeit|täglich;2x täglich;bei Bedarf", "fr": "fréquence|1 fois par jour;2 fois par jour;si besoin", "es": "frecuencia|cada 8 horas;una vez al día;diario", "it": "frequenza|una volta al giorno;ogni 8 ore", "pt": "frequência|uma vez por dia;diário"},
    "arm": {"en": "treatment_arm|placebo;intervention", "de": "Studienarm|Placebo;Intervention", "fr": "bras|placebo;traitement", "es": "brazo|placebo;tratamiento", "it": "braccio|placebo;trattamento", "pt": "braço|placebo;tratamento"},
    "payment": {"en": "claim_status|paid;denied;pending", "de": "Rechnungsstatus|bezahlt;offen;abgelehnt", "fr": "statut_paiement|payé;rejeté;en cours", "es": "estado_pago|pagado;rechazado;pendiente", "it": "stato_pagamento|pagato;respinto", "pt": "estado_pagamento|pago;rejeitado;pendente"},
}  # fmt: skip
UNITS = "mg/dL;mmol/L;g/L;10*3/uL;U/L;%"
CODES = {
    "icd": ("icd10 dx_code diag_icd", "E11.9;I10;J45.909;N18.3;C50.911;F32.1"),
    "loinc": ("loinc loinc_num", "2345-7;718-7;2823-3;2160-0;4548-4"),
    "atc": ("atc atc_code", "C07AB02;A10BA02;N02BE01;B01AC06"),
    "cpt": ("cpt cpt_code", "99213;99214;80053;71046;85025"),
}
NUMBERS: dict[str, dict[str, str]] = {  # headers by language | lowest, highest, decimals
    "glucose": {"en": "glucose", "de": "Glukose", "fr": "glycémie", "es": "glucosa", "it": "glicemia", "pt": "glicose", "of": "60 320 0"},
    "creatinine": {"en": "creatinine", "de": "Kreatinin", "fr": "créatinine", "es": "creatinina", "it": "creatinina", "pt": "creatinina", "of": "0.4 4.5 2"},
    "platelets": {"en": "platelets", "de": "Thrombozyten", "fr": "plaquettes", "es": "plaquetas", "it": "piastrine", "pt": "plaquetas", "of": "90000 450000 0"},
    "hemoglobin": {"en": "hgb", "de": "Hb", "fr": "hémoglobine", "es": "hemoglobina", "it": "emoglobina", "pt": "hemoglobina", "of": "7 17 1"},
    "systolic": {"en": "sbp", "de": "RR_syst", "fr": "TA_systolique", "es": "TA_sistolica", "it": "PA_sistolica", "pt": "PA_sistolica", "of": "90 190 0"},
    "pulse": {"en": "heart_rate", "de": "Puls", "fr": "pouls", "es": "pulso", "it": "polso", "pt": "pulso", "of": "45 140 0"},
    "weight": {"en": "weight_kg", "de": "Gewicht", "fr": "poids", "es": "peso", "it": "peso", "pt": "peso", "of": "45 130 1"},
    "height": {"en": "height_cm", "de": "Größe", "fr": "taille", "es": "talla", "it": "altezza", "pt": "altura", "of": "145 199 0"},
    "stay": {"en": "los_days", "de": "Verweildauer", "fr": "durée_séjour", "es": "dias_estancia", "it": "giorni_degenza", "pt": "dias_internamento", "of": "0 120 0"},
    "score": {"en": "apache_score", "de": "Punktwert", "fr": "score", "es": "puntuación", "it": "punteggio", "pt": "pontuação", "of": "0 40 0"},
    "cost": {"en": "total_cost", "de": "Kosten", "fr": "coût_total", "es": "coste_total", "it": "costo_totale", "pt": "custo_total", "of": "120 88000 2"},
    "quantity": {"en": "quantity", "de": "Menge", "fr": "quantité", "es": "cantidad", "it": "quantità", "pt": "quantidade", "of": "1 90 0"},
    "count": {"en": "n_visits", "de": "Anzahl_Besuche", "fr": "nb_visites", "es": "num_visitas", "it": "num_visite", "pt": "num_visitas", "of": "0 25 0"},
    "dose": {"en": "dose_mg", "de": "Dosis", "fr": "dose", "es": "dosis", "it": "dose", "pt": "dose", "of": "5 1000 0"},
    "feature": {"en": "gene_expr_12", "de": "Merkmal_7", "fr": "variable_5", "es": "variable_5", "it": "variabile_5", "pt": "variavel_5", "of": "-3 3 4"},
}  # fmt: skip
OF_KIND = {
    "admissions": "sex ward outcome admission severity stay insurance", "laboratory": "analyte loinc unit creatinine flag specimen glucose platelets", "demographics": "sex race marital education weight height insurance",
    "registry": "diagnosis icd stage severity outcome smoking answer", "survey": "likert education smoking answer score sex", "billing": "cpt icd cost payment insurance count", "devices": "event pulse score count priority",
    "pharmacy": "drug atc route dose frequency quantity", "pedigree": "relation affected sex diagnosis blood", "contacts": "sex answer priority marital", "imaging": "modality body priority sex dose",
    "research": "feature creatinine hemoglobin systolic pulse weight height arm answer score count icd stage",
}  # fmt: skip


def make_clean(concept: str, language: str, rng: random.Random, n: int) -> tuple[str, Values]:
    """A header and values of a column that identifies nobody."""
    if concept == "unit":
        return {"en": "unit", "de": "Einheit", "fr": "unité", "es": "unidad", "it": "unità", "pt": "unidade"}[
            language
        ], rng.choices(UNITS.split(";"), k=n)
    if concept in CODES:
        headers, values = CODES[concept]
        return rng.choice(headers.split()), rng.choices(values.split(";"), k=n)
    if concept in NUMBERS:
        low, high, decimals = NUMBERS[concept]["of"].split()
        return NUMBERS[concept][language], [f"{rng.uniform(float(low), float(high)):.{decimals}f}" for _ in range(n)]
    headers, values = CATEGORIES[concept][language].split("|")
    return rng.choice(headers.split()), rng.choices(values.split(";"), k=n)
