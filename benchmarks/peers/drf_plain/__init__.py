"""Django REST framework as in its tutorial: a ModelSerializer and a ModelViewSet, served by gunicorn."""
